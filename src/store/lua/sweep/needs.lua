-- Whether tasks of this queue still have needs (lib/needs.lua).
Q.duties[#Q.duties + 1] = function()
  if Q.control[8] and redis.call('EXISTS', Q.NEEDS) == 0 then redis.call('HDEL', Q.QUEUE, 'needed') end
end
