-- Whether tasks of this queue still have needs (lib/needs.lua), or wait for something (lib/waits.lua).
Q.duties[#Q.duties + 1] = function()
  if Q.control[8] and redis.call('EXISTS', Q.NEEDS, Q.SOURCES, Q.WAITS) == 0 then redis.call('HDEL', Q.QUEUE, 'needed') end
end
