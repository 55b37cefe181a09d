-- Dead letters by fingerprint. ERROR_GROUPS has one entry a fingerprint, `<first seen> <how often> <id of the latest> ` and JSON of
-- `{type, name, message, attempts, versions, hours}`; ERROR_GROUPS_SEEN has when each was last seen. How many tasks of a group are dead now, the index says
-- (lib/terms.lua): each dead task is found by its fingerprint and by the name of its error.

-- Beyond so many of a queue, failures of a new kind share the group OTHER_GROUP.
Q.MOST_GROUPS = 1000
Q.OTHER_GROUP = 'other'

-- `hours` of a group are its deaths in each of its last hours: `<hour> <count>,<count>…`, the newest first; an hour is a number since 1970.
local MOST_HOURS = 24

-- With one death more, now. When the clock was set back, the newest hour has it.
local function one_more(hours)
  local now = math.floor(Q.NOW / 3600000)
  local latest, newest, older = string.match(hours or '', '^(%d+) (%d+)([%d,]*)$')
  local ahead = latest and now - latest or MOST_HOURS
  if ahead <= 0 then return latest .. ' ' .. string.format('%d', newest + 1) .. older end
  if ahead >= MOST_HOURS then return string.format('%d 1', now) end
  local counts = {}
  for count in string.gmatch('1' .. string.rep(',0', ahead - 1) .. ',' .. newest .. older, '%d+') do
    if #counts < MOST_HOURS then counts[#counts + 1] = count end
  end
  return string.format('%d ', now) .. table.concat(counts, ',')
end

-- `versions` of a group are the latest under which tasks have died of it, with blanks between, the latest first.
-- With this one, or as they were when no worker has said it.
local function with_version(versions, version)
  if version == '-' then return versions end
  local all = { version }
  for one in string.gmatch(versions, '[^ ]+') do
    if one ~= version and #all < Q.MOST_VERSIONS then all[#all + 1] = one end
  end
  return table.concat(all, ' ')
end

-- The JSON of a group with one death more; what is counted stands behind the rest of it, `hours` last: a build before knows these alone.
-- `attempts` are the fewest and the most that a task had had when it died.
-- \58 is a colon, which stands in the names of keys alone (tests/store/key-names.test.ts).
local function with_death(about, attempts, version)
  local head, least, most, versions, hours =
    string.match(about, '^(.*)"attempts"\58"(%d+) (%d+)","versions"\58"([^"]*)","hours"\58"([%d, ]+)"}$')
  if not head then head, hours = string.match(about, '^(.*)"hours"\58"([%d, ]+)"}$') end
  if not head then head = about == '{}' and '{' or string.sub(about, 1, -2) .. ',' end
  local counted = '"attempts"\58"%d %d","versions"\58"%s","hours"\58"%s"}'
  least, most = math.min(least or attempts, attempts), math.max(most or attempts, attempts)
  return head .. string.format(counted, least, most, with_version(versions or '', version), one_more(hours))
end

-- Counts a task, whose content was loaded, that is dead from now on. `group` is what its worker says: fingerprint, name of the error
-- as a term has it, its version ('-' = none), and that JSON, with blanks between (store/error-groups.ts); nil, or '', for an error that
-- a script writes.
-- Returns the error, which has its fingerprint then, and the terms by which the task is found; nil when it has no fingerprint.
function Q.note_death(id, task, payload, group)
  local fingerprint, name, version, about = string.match(group or '', '^(%x+) ([^ ]+) ([^ ]+) (.*)$')
  if not fingerprint then
    -- Errors of scripts (ERRORS in scripts.ts) are CBOR of a map of two short texts.
    local message
    name, message = string.match(payload, '^\162dname.(%a+)gmessagex.(.*)$')
    if not name then return payload, nil end
    -- A content begins with an array head and the type.
    local content = Q.contents[id] or ''
    local head, length = string.byte(content, 2, 3)
    local type = head == 0x78 and string.sub(content, 4, 3 + (length or 0)) or string.sub(content, 3, 2 + (head or 0x60) - 0x60)
    fingerprint = string.sub(redis.sha1hex(type .. '\n' .. name), 1, 16)
    about = cjson.encode({ type = type, name = name, message = message })
    payload = '\163' .. string.sub(payload, 2) .. '\107fingerprint\112' .. fingerprint
  end

  local terms = 'error=' .. name .. ' fingerprint=' .. fingerprint
  local key, before = fingerprint, redis.call('HGET', Q.ERROR_GROUPS, fingerprint)
  if not before and redis.call('ZCARD', Q.ERROR_GROUPS_SEEN) >= Q.MOST_GROUPS then
    key, about, terms = Q.OTHER_GROUP, '{}', terms .. ' fingerprint=' .. Q.OTHER_GROUP
    before = redis.call('HGET', Q.ERROR_GROUPS, key)
  end
  local first, count, known = string.match(before or '', '^(%d+) (%d+) [^ ]+ (.*)$')
  -- As `attempt` of a dead task is shown (views/task-view.ts).
  local attempts = task.claims == 0 and 0 or math.max(1, task.failures)
  about = with_death(known or about, attempts, version or '-')
  local words = { first or Q.NOW_TEXT, string.format('%.0f', (count or 0) + 1), id, about }
  redis.call('HSET', Q.ERROR_GROUPS, key, table.concat(words, ' '))
  redis.call('ZADD', Q.ERROR_GROUPS_SEEN, Q.NOW_TEXT, key)
  Q.index(Q.DEAD_TERMS, id, terms)
  return payload, terms
end
