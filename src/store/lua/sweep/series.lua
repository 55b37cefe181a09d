-- Samples of the counts (store/load-reader.ts reads them), the newest first: one every 10 s for an hour in SERIES, one a minute for a day
-- in SERIES_MINUTES. While nothing changes there is none: the counts are what the newest sample says.

-- Time and counts of the newest sample; nil when there is none.
local function newest_of(series) return string.match(redis.call('LINDEX', series, 0) or '', '^(%d+) (.*)$') end

local function add(series, kept, counts)
  redis.call('LPUSH', series, Q.NOW_TEXT .. ' ' .. counts)
  redis.call('LTRIM', series, 0, kept - 1)
end

Q.duties[#Q.duties + 1] = function()
  local time, before = newest_of(Q.SERIES)
  -- A sample a minute comes with one of the others: most sweeps read no counts.
  if time and Q.NOW - time < 10000 then return end
  local values = redis.call('HMGET', Q.COUNT, unpack(Q.COUNT_FIELDS))
  for at = 1, #Q.COUNT_FIELDS do values[at] = values[at] or '0' end
  local counts = table.concat(values, ' ')
  if before ~= counts then add(Q.SERIES, 360, counts) end
  local minute, before_minute = newest_of(Q.SERIES_MINUTES)
  if before_minute ~= counts and not (minute and Q.NOW - minute < 60000) then add(Q.SERIES_MINUTES, 1440, counts) end
end
