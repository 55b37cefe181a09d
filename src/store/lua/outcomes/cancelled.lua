-- The task was stopped on request. One that was given back, and shall be cancelled, brings no error.
function Q.outcomes.cancelled(o)
  local payload = o.payload ~= '' and o.payload or Q.CANCELLED_ERROR
  Q.end_task(o.id, o.task, 'cancelled', Q.LAST_ERRORS, payload, o.keep_ms)
end
