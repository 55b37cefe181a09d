-- What follows a task of a batch; nil when it is of none.
function Q.batch_followers(id)
  local followers = Q.control[6] and redis.call('HGET', Q.FOLLOWERS, id)
  return followers and string.find(' ' .. followers, ' batch:%S') and followers
end

-- A dead task of a batch runs again: the batch takes its end back. Retries are numbered together with the ends, so that the latest of them counts.
function Q.note_retry(id)
  local followers = Q.batch_followers(id)
  if followers then Q.append_to_outbox({ { id = id, followers = followers, state = 'retried' } }) end
end
