"""SQL statements: a strict parser of our own for what surrounds the SELECT, which is translated."""
