"""Commands about what plug-ins define: distillers, spaces, and files to start from."""
