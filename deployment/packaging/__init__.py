"""What is shipped to Google Cloud: the functions' source archive and the prediction service's container context."""
