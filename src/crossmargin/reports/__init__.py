"""Results shown to people and programs: terminal, JSON, CSV, Parquet. They show trees; they compute nothing."""
