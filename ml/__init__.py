"""The pure core: schema, features, models, evaluation; around it the registry and the training. No Spark here."""
