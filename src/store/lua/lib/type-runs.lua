-- How the runs of each type have gone, by the hour: TYPE_HOURS has an entry for each hour with any, the newest first, `<hour> ` and JSON of
-- types to counts: how many runs took how long (SPAN_SECONDS in spans.ts), then how many failed. An hour is a number since 1970.
local MOST_HOURS, MOST_BYTES = 24, 65536

local function add(text, json)
  local all = cjson.decode(text)
  for name, counts in pairs(cjson.decode(json)) do
    local sums = all[name]
    if sums then
      for at, count in ipairs(counts) do sums[at] = sums[at] + count end
    elseif #text < MOST_BYTES then
      all[name] = counts
    end
  end
  return cjson.encode(all)
end

-- `json` is what a worker has counted since its beat before.
function Q.add_type_runs(json)
  local hour = string.format('%d', math.floor(Q.NOW / 3600000))
  local of, before = string.match(redis.call('LINDEX', Q.TYPE_HOURS, 0) or '', '^(%d+) (.*)$')
  if of == hour then
    redis.call('LPOP', Q.TYPE_HOURS)
    -- What another program has spoilt begins anew.
    local is_read, sum = pcall(add, before, json)
    if is_read then json = sum end
  end
  redis.call('LPUSH', Q.TYPE_HOURS, hour .. ' ' .. json)
  redis.call('LTRIM', Q.TYPE_HOURS, 0, MOST_HOURS - 1)
end
