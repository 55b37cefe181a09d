-- Writes the progress and the log lines of running handlers.
-- ARGV, for each task: id, token (finish.lua), progress (CBOR, '' = unchanged), number of lines, lines
-- Reply: how many tasks were written; the others belong to another worker by now

local written = {}
while args.are_left() do
  local id, token, progress, lines = args.text(), args.text(), args.text(), args.list(args.number())
  Q.load(Q.HEADERS, Q.headers, { id })
  if Q.headers[id] == token then
    if progress ~= '' then Q.put(Q.PROGRESS, id, progress) end
    if #lines > 0 then Q.add_to_log(id, lines) end
    written[#written + 1] = id
  end
end
Q.commit()
if #written > 0 then Q.emit(1, { 'p', table.concat(written, ' ') }) end
return #written
