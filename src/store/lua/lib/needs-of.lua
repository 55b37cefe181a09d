-- The needs of a task, in their order: for each name, how its source ended ('' = it is unmet), and CBOR of what that brought.
function Q.needs_of(id)
  local fields, found = {}, {}
  for need, name in string.gmatch(redis.call('HGET', Q.NEEDS, id) or '', ' (%S+) (%S+)') do
    fields[#fields + 1] = id .. ' ' .. need
    found[#found + 1] = { name = name }
  end
  for from = 1, #fields, 1000 do
    local to = math.min(from + 999, #fields)
    local values = redis.call('HMGET', Q.NEED_VALUES, unpack(fields, from, to))
    for at = from, to do
      local word, payload = string.match(values[at - from + 1] or '', '^(%l+) (.*)$')
      found[at].word, found[at].payload = word or '', payload or ''
    end
  end
  return found
end

-- What the handler of a task that waits still waits for (lib/waits.lua): its sources, of how many children that is, and when the wait ends by itself.
function Q.open_sources(id)
  local found = {}
  local ends, sources = string.match(redis.call('HGET', Q.WAITS, id) or '', '^open (%d+) %d+ %d+(.*)$')
  local children = 0
  for source in string.gmatch(sources or '', ' (%S+)') do
    if string.sub(source, 1, 1) == '>' then children = children + 1 end
    if redis.call('HGET', Q.SOURCE_VALUES, id .. ' ' .. source) == '' then found[#found + 1] = source end
  end
  if children > 0 then found[#found + 1] = ' children ' .. children end
  if ends and ends ~= '0' then found[#found + 1] = ' until ' .. ends end
  return found
end
