-- Kinds of failures that nobody wants to be warned of. ERROR_GROUPS_IGNORED has of each, by its fingerprint, `<until> <most>`: it is
-- over at this time of day, or once more deaths were counted than that; '-' = that does not end it.

-- The entry of a group while it is ignored; nil = it is not.
function Q.ignored(fingerprint)
  local entry = redis.call('HGET', Q.ERROR_GROUPS_IGNORED, fingerprint)
  local till, most = string.match(entry or '', '^(%S+) (%S+)$')
  if not till or Q.WALL >= (tonumber(till) or math.huge) then return nil end
  if most == '-' then return entry end
  local group = redis.call('HGET', Q.ERROR_GROUPS, fingerprint)
  local total = tonumber(string.match(group or '', '^%d+ (%d+) ')) or 0
  return total <= tonumber(most) and entry or nil
end
