"""The level report, its pictures, files and pages."""
