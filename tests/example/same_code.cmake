# Does PAGE contain CODE, line for line, in a block of its own?
file(READ ${PAGE} page)
file(READ ${CODE} code)
string(FIND "${page}" "${code}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${PAGE} does not show ${CODE} as it is")
endif()
