"""The event edge: one thin entry point a stage, the prediction service, feedback."""
