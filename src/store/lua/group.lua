-- A group of errors (lib/error-groups.lua).
-- ARGV: fingerprint
-- Reply: its entry ('' = there is none), when it was last seen, how many tasks of it are dead now, the newest of these ('' = none),
--        how it is ignored (lib/ignored.lua; '' = it is not)

local fingerprint = args.text()
local first, behind = '[fingerprint=' .. fingerprint .. ' ', '(fingerprint=' .. fingerprint .. '!'
local newest = redis.call('ZREVRANGEBYLEX', Q.SEARCH, behind, first, 'LIMIT', 0, 1)[1]
return {
  redis.call('HGET', Q.ERROR_GROUPS, fingerprint) or '', redis.call('ZSCORE', Q.ERROR_GROUPS_SEEN, fingerprint) or '',
  redis.call('ZLEXCOUNT', Q.SEARCH, first, behind), newest and string.sub(newest, #first) or '',
  Q.ignored(fingerprint) or '',
}
