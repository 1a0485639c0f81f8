"""The endpoints, one blueprint per topic; `pyimgret_server.app` registers them."""
