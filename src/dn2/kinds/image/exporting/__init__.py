"""The decision of a model of pictures as one network: from pixels to scores."""
