-- Writes the record of a workflow, before any of its steps. `json` is what was asked for, `followers` are its steps (store/outbox.ts), `open` how
-- many they are. Returns its state as it was written.
function Q.write_record(id, json, followers, open, key)
  redis.call('HSET', Q.WORKFLOWS, id, json)
  redis.call('HSET', Q.FOLLOWERS, id, followers)
  Q.note_followed()
  redis.call('ZADD', Q.WORKFLOW_ORDER, 0, id)
  local flow = { state = 'accepting', generation = 1, open = open, total = open, acceptedAt = Q.NOW, key = key }
  Q.write_workflow(id, flow)
  return flow
end
