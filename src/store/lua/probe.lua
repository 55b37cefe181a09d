-- Whether this Redis takes writes, and whether this user may run the commands that popfleet sends. It stands alone, without the
-- shared library, and leaves nothing behind.
-- ARGV: 'write' = only the write, 'all' = every command
-- Reply: names of the commands that this user may not run, in lower case

local hash, list, set, sorted, stream, text = Q.HASH, Q.LIST, Q.SET, Q.SORTED, Q.STREAM, Q.TEXT
-- In an order in which none of them fails: what reads follows what writes, what takes away comes last.
local calls = {
  { 'SET', text, '1', 'PX', 1000 }, { 'GET', text }, { 'MGET', text }, { 'EXISTS', text }, { 'PEXPIRE', text, 1000 }, { 'TIME' },
  { 'HSET', hash, 'f', 'v' }, { 'HSETNX', hash, 'n', 1 }, { 'HINCRBY', hash, 'n', 1 }, { 'HGET', hash, 'f' },
  { 'HMGET', hash, 'f' }, { 'HGETALL', hash }, { 'HVALS', hash }, { 'HEXISTS', hash, 'f' }, { 'HSTRLEN', hash, 'f' }, { 'HSCAN', hash, 0 },
  { 'MEMORY', 'USAGE', hash }, { 'HDEL', hash, 'f', 'n' },
  { 'LPUSH', list, 'a' }, { 'RPUSH', list, 'b' }, { 'LLEN', list }, { 'LINDEX', list, 0 }, { 'LRANGE', list, 0, 0 },
  { 'LPOS', list, 'a' }, { 'LTRIM', list, 0, 1 }, { 'LPOP', list }, { 'RPOP', list },
  { 'SADD', set, 'm', 'n' }, { 'SMEMBERS', set }, { 'SSCAN', set, 0 }, { 'SREM', set, 'm' },
  { 'ZADD', sorted, 1, 'm' }, { 'ZCARD', sorted }, { 'ZCOUNT', sorted, 0, 1 }, { 'ZSCORE', sorted, 'm' },
  { 'ZMSCORE', sorted, 'm' },
  { 'ZLEXCOUNT', sorted, '-', '+' }, { 'ZRANGEBYLEX', sorted, '-', '+' }, { 'ZREVRANGEBYLEX', sorted, '+', '-' },
  { 'ZRANGE', sorted, 0, 0 }, { 'ZRANGEBYSCORE', sorted, 0, 1 }, { 'ZREM', sorted, 'm' },
  { 'ZREMRANGEBYSCORE', sorted, 0, 1 },
  { 'XADD', stream, '*', 'f', 'v' }, { 'XRANGE', stream, '-', '+' }, { 'XREVRANGE', stream, '+', '-' },
  { 'XREAD', 'STREAMS', stream, '0' },
  { 'PUBSUB', 'NUMSUB' }, { 'PUBLISH', (string.gsub(text, 'text$', 'wake')), '' }, { 'UNLINK', hash, list, set, sorted, stream }, { 'DEL', text },
}

-- As Redis says it: 'NOPERM …' and, within scripts up to 7.0, 'The user executing the script can't …'.
local function is_refused(reply)
  if type(reply) ~= 'table' or not reply.err then return false end
  return string.find(reply.err, 'NOPERM', 1, true) or string.find(reply.err, 'permission', 1, true)
    or string.find(reply.err, 'The user executing the script', 1, true)
end

if args.text() == 'write' then
  redis.call('SET', text, '1', 'PX', 1000)
  redis.call('DEL', text)
  return {}
end
local refused = {}
for _, call in ipairs(calls) do
  if is_refused(redis.pcall(unpack(call))) then
    refused[#refused + 1] = string.lower(call[1] == 'MEMORY' and 'memory usage' or call[1])
  end
end
return refused
