-- The event of a call.

-- Entries of the event stream that are kept for readers that come back: fewer, when calls make many moves each.
Q.EVENTS_KEPT = 10000
Q.FEWEST_EVENTS_KEPT = 50
-- Moves that are kept about: more when a call makes no more than a sweep does, so that one sweep costs no history.
Q.MOVES_KEPT = 50000
Q.MOVES_OF_A_SWEEP = 100
Q.MOVES_KEPT_THEN = 200000

-- Its fields, names and values in turn (`EventEntry` in store/event-entry.ts).
Q.events = {}

-- Adds an entry to the event stream. `n` numbers the entries: a reader sees from it that it has missed some.
function Q.emit(moves, fields)
  local number = redis.call('HINCRBY', Q.QUEUE, 'events', '1')
  local moves_kept = moves <= Q.MOVES_OF_A_SWEEP and Q.MOVES_KEPT_THEN or Q.MOVES_KEPT
  -- An entry may have no move at all, but the numbers of an operation.
  local kept = math.min(Q.EVENTS_KEPT, math.max(Q.FEWEST_EVENTS_KEPT, math.ceil(moves_kept / math.max(1, moves))))
  redis.call('XADD', Q.EVENTS, 'MAXLEN', '=', kept, '*', 'n', number, unpack(fields))
end
