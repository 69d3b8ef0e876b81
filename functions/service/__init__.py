"""The prediction service: deals in, duplicates out, computed by the SQL that the model was trained with.

Nothing here says how a feature is made: the templates of the version that answers do. An edge of HTTP (`routes`), an engine
that runs those templates in-process (`features`), and Google's clients for the endpoint and the log.
"""
