-- Writes the record of a workflow, before any of its steps.
-- ARGV: id, key ('' = none), digest of the request, JSON of what was asked for, its steps and then its webhooks as followers (store/outbox.ts), how
--       many these are, each, ms within which it has to be committed
-- Reply: 'opened', 'known' (a repeat), or 'replayed' or 'conflict' when its key belongs to another one; and the id

local id, key, digest, json, followers = args.text(), args.text(), args.text(), args.text(), args.text()
local open, webhooks, within_ms = args.number(), args.number(), args.number()
if redis.call('HEXISTS', Q.WORKFLOWS, id) == 1 then return { 'known', id } end
local owner = key ~= '' and redis.call('HGET', Q.WORKFLOW_KEYS, key)
if owner then return { string.sub(owner, 37) == digest and 'replayed' or 'conflict', string.sub(owner, 1, 36) } end
if key ~= '' then redis.call('HSET', Q.WORKFLOW_KEYS, key, id .. digest) end
redis.call('ZADD', Q.WORKFLOW_DEADLINES, Q.NOW + within_ms, id)
Q.wake_at(Q.NOW + within_ms)
Q.write_record(id, json, followers, open, webhooks, key ~= '' and key or nil)
return { 'opened', id }
