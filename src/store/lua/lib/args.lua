-- Reads the arguments of a script one after the other.

local args, read = {}, 0

function args.text()
  read = read + 1
  return ARGV[read]
end

-- nil for ''.
function args.number() return tonumber(args.text()) end

-- The next arguments, as many as given; all that are left unless a number is given.
function args.list(length)
  local from = read + 1
  read = length and read + length or #ARGV
  return { unpack(ARGV, from, read) }
end

function args.are_left() return read < #ARGV end
