"""What messages say: Liquid by part, in versions, with strict variables and limits against hostile wordings."""
