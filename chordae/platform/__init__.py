"""What every room stands on: settings, nouns, engine, media store. Imports no other room."""
