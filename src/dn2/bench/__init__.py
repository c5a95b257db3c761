"""The paper's protocols on any folder of classes."""
