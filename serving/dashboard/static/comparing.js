// Looks again, until the comparison is there.
setTimeout(() => location.replace(location.href), 2000);
