"""The systems that are measured: ours and its peers, each behind the same few verbs (base.Contender)."""
