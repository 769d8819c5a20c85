"""The Spark side: what spark-submit runs, and the DataFrame → DataFrame steps that it is made of."""
