-- Whether anything has followed a task of this queue: `followed` of the queue says so, so that ends of most queues look for nothing.
function Q.note_followed()
  if Q.control[6] then return end
  Q.control[6] = '1'
  redis.call('HSET', Q.QUEUE, 'followed', 1)
end
