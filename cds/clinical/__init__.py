"""The vocabulary of the product: frozen values a pharmacist would recognise."""
