-- The index of a card's events. It leaves out waiting ones, so that a rotation, which
-- writes one, does not maintain it.
CREATE INDEX event_card ON event (card, number) WHERE status <> 0;
