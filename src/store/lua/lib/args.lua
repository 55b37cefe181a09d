-- Reads the arguments of a script one after the other.

local args = { at = 0 }

function args.text()
  args.at = args.at + 1
  return ARGV[args.at]
end

-- nil for ''.
function args.number() return tonumber(args.text()) end

-- The next arguments, as many as given; all that are left unless a number is given.
function args.list(length)
  local from = args.at + 1
  args.at = length and args.at + length or #ARGV
  return { unpack(ARGV, from, args.at) }
end

function args.are_left() return args.at < #ARGV end
