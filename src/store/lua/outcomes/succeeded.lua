-- The handler has returned. `payload` is its result.
function Q.outcomes.succeeded(o)
  -- No run comes after this one that could go on from there.
  redis.call('HDEL', Q.CHECKPOINTS, o.id)
  Q.end_task(o.id, o.task, 'succeeded', Q.RESULTS, o.payload, o.keep_ms)
end
