-- The process of its own that ran the task was lost.
function Q.outcomes.crashed(o) Q.after_crash(o.id, o.task, o.is_cancelled, o.payload, o.keep_ms) end
