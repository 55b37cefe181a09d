-- A running handler asks for something that it may wait for (lib/waits.lua). Asked for again it is the same.
-- ARGV: id, token (finish.lua), source, digest of how it was asked for, how many sources a task may have, what follows the end of the task from
--       now on ('' = nothing more; store/outbox.ts)
-- Reply: 'stale' (the task belongs to another worker by now), 'conflict' (it was asked for otherwise before), 'many' (the task has as many as it
--        may), 'open' (nothing has come of it), or 'ended'

local id, token, source, digest, most, follower = args.text(), args.text(), args.text(), args.text(), args.number(), args.text()
Q.load(Q.HEADERS, Q.headers, { id })
if Q.headers[id] ~= token then return 'stale' end
local sources = redis.call('HGET', Q.SOURCES, id) or ''
local _, found = string.find(sources, ' ' .. source .. '=', 1, true)
if found then
  if string.match(sources, '^%S*', found + 1) ~= digest then return 'conflict' end
  return redis.call('HGET', Q.SOURCE_VALUES, id .. ' ' .. source) == '' and 'open' or 'ended'
end
local _, number = string.gsub(sources, '=', '')
if number >= most then return 'many' end
redis.call('HSET', Q.SOURCES, id, sources .. ' ' .. source .. '=' .. digest)
redis.call('HSET', Q.SOURCE_VALUES, id .. ' ' .. source, '')
Q.note_needed()
if follower ~= '' then
  local before = redis.call('HGET', Q.FOLLOWERS, id)
  if not before or not string.find(' ' .. before .. ' ', ' ' .. follower .. ' ', 1, true) then
    redis.call('HSET', Q.FOLLOWERS, id, before and before .. ' ' .. follower or follower)
    Q.note_followed('later')
  end
end
return 'open'
