"""How a torch pipeline uses the machine: threads of one process, processes of one training."""
