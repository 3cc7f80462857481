-- Attention: what an operator of the action queue has said to have seen. The queue itself is put together from the
-- other rooms whenever it is looked at.
CREATE TABLE attention_acks(
  -- As in the queue: offline:nd_…
  item_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  user_name TEXT NOT NULL,
  note TEXT NOT NULL,
  at_ms {{I64}} NOT NULL
){{STRICT}};
