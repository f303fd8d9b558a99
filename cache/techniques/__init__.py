"""The techniques, one a file, with the figures that their authors published."""
