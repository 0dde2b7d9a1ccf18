"""The routes of the API. Each reads its request, makes one call, and gives the answer its shape."""
