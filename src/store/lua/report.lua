-- Writes what running handlers tell of their progress and their log.
-- ARGV: lines kept of a log, then for each task: id, token (finish.lua), progress (CBOR, '' = unchanged), number of lines, lines
-- Reply: how many tasks were heard; others belong to somebody else by now

local lines_kept, heard = args.number(), {}
while args.are_left() do
  local id, token, progress, lines = args.text(), args.text(), args.text(), args.list(args.number())
  Q.load(Q.HEADERS, Q.headers, { id })
  if Q.headers[id] == token then
    if progress ~= '' then Q.put(Q.PROGRESS, id, progress) end
    if #lines > 0 then
      redis.call('RPUSH', Q.log_key(id), unpack(lines))
      redis.call('LTRIM', Q.log_key(id), -lines_kept, -1)
    end
    heard[#heard + 1] = id
  end
end
Q.commit()
if #heard > 0 then Q.tell(1, { 'p', table.concat(heard, ' ') }) end
return #heard
