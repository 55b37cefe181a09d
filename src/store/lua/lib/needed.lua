-- Whether any task of this queue has needs, or waits for something (lib/waits.lua): `needed` of the queue says so, so that most queues look for nothing.
function Q.note_needed()
  if Q.control[8] then return end
  Q.control[8] = '1'
  redis.call('HSET', Q.QUEUE, 'needed', 1)
end
