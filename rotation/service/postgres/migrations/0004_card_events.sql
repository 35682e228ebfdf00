-- The index of a card's delivered and parked events. The outbox has none: a rotation
-- would have to maintain it.
CREATE INDEX settled_card ON settled (card, number);
