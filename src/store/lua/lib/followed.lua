-- What the queue says about its followed tasks (`followed` of the queue), so that ends of most queues look for nothing. 'marked': the
-- header of each says that it is one, because it came with what follows it. Any other word: something has followed a task later, whose
-- header is the token of a run by then and must not change.
function Q.note_followed(word)
  local before = Q.control[6]
  if before and (before ~= 'marked' or word == 'marked') then return end
  Q.control[6] = word
  redis.call('HSET', Q.QUEUE, 'followed', word)
end
