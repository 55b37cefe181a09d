-- Writes the record of a workflow, before any of its steps. `json` is what was asked for, `followers` are its steps (store/outbox.ts), and `webhooks`
-- webhooks behind these; `open` is how many steps it has.
function Q.write_record(id, json, followers, open, webhooks, key)
  redis.call('HSET', Q.WORKFLOWS, id, json)
  redis.call('HSET', Q.FOLLOWERS, id, followers)
  Q.note_followed('marked')
  redis.call('ZADD', Q.WORKFLOW_ORDER, 0, id)
  local flow = { state = 'accepting', generation = 1, open = open, total = open, acceptedAt = Q.NOW, key = key }
  if webhooks > 0 then flow.webhooks = webhooks end
  Q.write_workflow(id, flow)
end
