"""Pictures of the published marts for people: of one dyad, and of the study."""
