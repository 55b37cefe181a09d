-- Records plain successes (without a time to live of their own and without history), which nearly all outcomes are: `groups` has
-- token, bytes that each of it keeps, and how many they are, `results` id and result of each that has one.
-- Calls `late(position, id, token)` for those whose token is not the header of their task. Returns the ids of all others.
function Q.record_successes(ids, groups, results, late)
  local headers = redis.call('HMGET', Q.HEADERS, unpack(ids))
  local terms = Q.control[7] and redis.call('HMGET', Q.TERMS, unpack(ids))
  local written, ended, bytes, position = Q.written_to(Q.HEADERS), {}, 0, 0
  local followed = Q.control[6] == 'marked' and {} or nil
  for at = 1, #groups, 3 do
    local token, last = groups[at], position + groups[at + 2]
    local is_followed = followed and Q.says_followed(token)
    local own_bytes, header = tonumber(groups[at + 1])
    while position < last do
      position = position + 1
      local id = ids[position]
      if headers[position] == token then
        header = header or Q.end_header(token, 'succeeded', groups[at + 1])
        ended[#ended + 1] = id
        if is_followed then followed[#followed + 1] = id end
        written[#written + 1] = id
        if terms and terms[position] then
          -- Its worker does not know of them.
          local with_terms = own_bytes + Q.bytes_of_terms(terms[position])
          written[#written + 1] = Q.end_header(token, 'succeeded', with_terms)
          bytes = bytes + with_terms
        else
          written[#written + 1] = header
          bytes = bytes + own_bytes
        end
      else
        late(position, id, token)
      end
    end
  end
  if #ended == #ids then
    Q.written[Q.RESULTS] = results
  else
    local is_ended = {}
    for at = 1, #ended do is_ended[ended[at]] = true end
    for at = 1, #results, 2 do
      if is_ended[results[at]] then Q.put(Q.RESULTS, results[at], results[at + 1]) end
    end
  end
  if #ended > 0 then
    Q.ended(ended, 'running', 'succeeded', bytes, followed)
    Q.note_awaited(ended)
  end
  return ended
end
