"""What pages and API have done alike: from a form or a request to a job, or to a change at once."""
