"""The words that values are drawn from, a list a kind, separated by `|`."""

from __future__ import annotations

_LISTS = {
    "city": "Paris|London|Berlin|Madrid|Rome|Lisbon|Vienna|Prague|Warsaw|Oslo|Stockholm|Helsinki|Dublin|Athens|Budapest|Zurich|"
    "Boston|Chicago|Seattle|Denver|Austin|Miami|Portland|Phoenix|Dallas|Atlanta|San Francisco|Los Angeles|New York|San Diego|"
    "Boston, MA|Austin, TX|San Jose, CA|Denver, CO|Portland, Oregon|Tokyo|Osaka|Seoul|Beijing|Shanghai|Hong Kong|Singapore|"
    "Bangkok|Mumbai|Delhi|Sydney|Melbourne|Toronto|Vancouver|Montreal|Mexico City|Buenos Aires|Lima|Bogotá|São Paulo|Cairo|"
    "Nairobi|Lagos|Cape Town|Dubai|Istanbul|Tel Aviv|Kyiv|Reykjavik|Graz|Lyon|Porto|Sevilla|Naples|Ghent|Utrecht|Malmö|Kraków",
    "country": "France|Germany|Spain|Italy|Japan|China|India|Brazil|Canada|Mexico|Egypt|Kenya|Nigeria|South Africa|Australia|"
    "New Zealand|Norway|Sweden|Poland|Greece|Turkey|Vietnam|Thailand|Indonesia|Argentina|Chile|Peru|United States|UK|Portugal",
    "us_state": "California|Texas|New York|Florida|Ohio|Oregon|Nevada|Utah|Maine|Georgia|Illinois|Washington|Colorado|Michigan",
    "first_name": "Anna|Ben|Carla|David|Elena|Farid|Grace|Hugo|Ines|Jonas|Karim|Lena|Mateo|Nadia|Oscar|Priya|Quinn|Rosa|Samir|"
    "Tara|Umar|Vera|Wei|Ximena|Yusuf|Zoe|Mark|Julia|Peter|Laura|Tom|Sofia|Ahmed|Mei|Igor|Chloe|Mum|Dad|Aunt Ruth",
    "last_name": "Smith|Müller|Garcia|Rossi|Novak|Jensen|Kim|Tanaka|Chen|Patel|Okafor|Silva|Dubois|Larsen|Kowalski|Haddad|"
    "Johnson|Brown|Martin|Schmidt|Lopez|Ivanova|Nguyen|Ali|Moreau|Weber|Costa|Berg|Sato|Reed",
    "restaurant": "The Olive Tree|Blue Lagoon|Casa Pepe|Sakura House|Chez Marie|The Old Mill|Trattoria Luna|Green Garden|"
    "Spice Route|Harbour Grill|Noodle Bar 88|La Piazza|The Copper Pot|Zum Hirschen",
    "cuisine": "Italian|Thai|Mexican|Indian|Japanese|Greek|Korean|Ethiopian|Vietnamese|Turkish|Lebanese|French|Peruvian|vegan",
    "dish": "lasagna|pad thai|margherita pizza|chicken curry|ramen|tacos|falafel wrap|caesar salad|mushroom risotto|pho|paella|"
    "beef stew|pumpkin soup|veggie burger|sushi set|pancakes|apple pie|banana bread|goulash|ratatouille|carrot cake",
    "grocery": "milk|eggs|bread|apples|bananas|rice|pasta|butter|cheese|tomatoes|onions|spinach|chicken breast|salmon|tofu|"
    "yogurt|coffee|oat milk|almonds|peanuts|potatoes|broccoli|chocolate|avocado|lentils|cinnamon|garlic|oranges|honey|flour",
    "street": "Main Street|Oak Avenue|Church Road|Maple Lane|Park Street|Station Road|Elm Street|Hill Drive|Lake View Road|"
    "King Street|Rue de la Paix|Lindenstraße|Via Roma|Mill Lane",
    "shell": "ls -la|git status|make test|df -h|ping -c 3 example.com|docker ps|npm run build|python main.py --fast|"
    "cat notes.txt|systemctl restart nginx|ipconfig /all|dir C:\\Users|tasklist|whoami|netstat -an|"
    "tail -n 50 app.log|pip list|cargo check",
    "room": "kitchen|living room|bedroom|bathroom|hallway|office|garage|dining room|basement|attic|nursery|guest room|Room 204",
    "door": "front door|back door|garage door|garden gate|cellar door|balcony door",
    "color": "red|blue|green|warm white|purple|orange|yellow|pink|turquoise|cool white",
    "task": "call the dentist|water the plants|pay the rent|pick up the kids|renew my passport|buy a present for Lena|"
    "take out the trash|book the flights|send the invoice|feed the cat|return the library books|check the oven|"
    "prepare the slides|cancel the gym membership|charge the car|vacuum the stairs",
    "label": "morning run|medication|team call|pasta|laundry|nap|school run|yoga|tea|rent May|birthday gift|gym|eggs|"
    "project kickoff|weekend|groceries",
    "event": "Team meeting|Dentist|Project review|Lunch with Anna|Quarterly planning|Yoga class|Parent evening|Jazz Night|"
    "Budget talk|Design workshop|Book club|Garden party|Sprint demo|Choir practice|City Marathon|Rock am See|Opera gala",
    "subject": "Project update|Invoice 4411|Lunch on Friday|Crash on start|Quarterly report|Holiday plans|Docs are outdated|"
    "Login page is slow|Meeting notes|New pricing|Typo in README|Add dark mode|Welcome aboard|Sales by month|Memory leak",
    "note": "I'll be ten minutes late|See you tomorrow|Please review the attached file|The meeting is moved to Monday|"
    "Happy birthday!|Thanks for your help|Don't forget the keys|Where is the train station?|Leave it at the door|"
    "The quick test passed|We need more time|hello world|Good morning everyone|I love this place|Let's go with plan B|"
    "The server is back up|Ring the bell twice|Could you call me back?|It was a pleasure meeting you|no onions please",
    "word": "serendipity|ubiquitous|timeout|resilient|cat|ephemeral|deadlock|colour|nevertheless|gratitude|latency|refused|"
    "quixotic|banana|login|zeitgeist|payload|ambiguous|petrichor|checksum",
    "topic": "climate change|electric cars|quantum computing|interest rates|renewable energy|the housing market|"
    "machine learning|space exploration|coral reefs|gene therapy|inflation|football transfers|cyber security|elections|"
    "graph neural networks|solid state batteries|vaccines|urban farming|remote work|microplastics|protein folding",
    "song": "Yesterday|Bohemian Rhapsody|Clair de Lune|Take Five|Imagine|Blue in Green|my workout playlist|Thriller|Hallelujah|"
    "Dancing Queen|the album Kind of Blue|Viva la Vida|chill beats|Purple Rain|Hey Jude|Four Seasons",
    "artist": "Queen|Miles Davis|Adele|ABBA|The Beatles|Nina Simone|Coldplay|Daft Punk|Johnny Cash|Björk|Mozart|Prince",
    "actor": "Tom Hanks|Meryl Streep|Denzel Washington|Cate Blanchett|Morgan Freeman|Emma Stone|Song Kang-ho|Penélope Cruz",
    "place": "the central station|the airport|City Hall|the university library|Central Park|the old harbour|the zoo|"
    "the Museum of Modern Art|Terminal 2|the football stadium|the botanical garden|Union Square|the opera house",
    "product": "running shoes|wireless headphones|a coffee maker|a gaming mouse|a rain jacket|desk lamps|a yoga mat|"
    "a standing desk|kids' bikes|phone cases|a backpack|noise cancelling earbuds|a mechanical keyboard|garden chairs",
    "ticker": "AAPL|MSFT|GOOG|TSLA|AMZN|NVDA|META|NFLX|SAP|IBM|INTC|ORCL|KO|DIS|BA|V",
    "currency": "USD|EUR|GBP|JPY|CHF|CAD|AUD|CNY|INR|SEK|NOK|MXN|BRL|ZAR|PLN|TRY",
    "company": "Acme Corp|Globex|Initech|Umbrella Foods|Northwind|Contoso|Blue Fjord Ltd|Vandelay Industries|Hooli",
    "language": "French|Spanish|German|Italian|Japanese|Chinese|Portuguese|Arabic|Korean|Dutch|Swedish|Hindi|Turkish|Polish",
    "doctor": "Dr. Lee|Dr. Novak|Dr. Santos|my dermatologist|Dr. Okafor|the eye doctor|Dr. Weiss",
    "symptom": "back pain|a sore throat|headaches|a skin rash|a knee injury|dizziness|a regular check-up|insomnia",
    "drug": "ibuprofen|paracetamol|amoxicillin|aspirin|metformin|insulin|morphine|cetirizine",
    "formula": "H2O|CO2|NaCl|C6H12O6|H2SO4|CaCO3|NH3|C2H5OH|KMnO4|Fe2O3|CH4|HCl",
    "element": "gold|iron|oxygen|carbon|sodium|helium|uranium|copper|silver|mercury|neon|zinc|titanium|iodine",
    "gene": "BRCA1|TP53|CFTR|APOE|HBB|EGFR|MYC|FOXP2|SOX2|KRAS",
    "planet": "Mercury|Venus|Earth|Mars|Jupiter|Saturn|Uranus|Neptune",
    "history": "the fall of the Berlin Wall|the French Revolution|the moon landing|the Battle of Hastings|"
    "the signing of the Magna Carta|the Treaty of Westphalia|the Great Fire of London|the Boston Tea Party|"
    "the Meiji Restoration|the Congress of Vienna|the sinking of the Titanic|the Suez crisis",
    "team": "Arsenal|Real Madrid|Bayern Munich|Ajax|Juventus|Celtic|Boca Juniors|Chicago Bulls|Boston Celtics|Miami Heat|"
    "Toronto Raptors|New York Yankees|Dallas Cowboys|Green Bay Packers|PSG|Porto",
    "athlete": "Lionel Messi|Serena Williams|LeBron James|Usain Bolt|Megan Rapinoe|Roger Federer|Stephen Curry|Kylian Mbappé|"
    "Simone Biles|Luka Dončić|Mohamed Salah",
    "zone": "UTC|America/New_York|Europe/London|Asia/Tokyo|Europe/Berlin|Australia/Sydney|America/Los_Angeles|Asia/Kolkata",
    "glob": "*.py|*.md|*.json|test_*.py|*.log|*.csv|*.tsx|config*.toml|*.png|Makefile|*.sql|*.yaml",
    "folder": "src|docs|tests|lib/utils|/var/log|/etc|~/projects|app/models|packages/core|/home/anna|data/raw|build",
    "file_stem": "main|README|notes|report|config|users|server|index|utils|todo|changelog|photo|logo|budget_2023|schema|setup",
    "identifier": "parse_config|UserRepository|handle_request|MAX_RETRIES|connect|load_model|TODO|on_error|getUserById|"
    "raise ValueError|asyncio.gather|fetchAll|TokenBucket|render|is_valid|checkout",
    "branch": "main|develop|feature/login|fix/timeout|release-2.1|staging|hotfix-17|docs-update|team-a|canary",
    "user": "octocat|jdoe|annab|devteam|mkowalski|pixelpunk|lars-h|wei-chen|acme|nightly-bot",
    "service": "auth-service|payments|web-frontend|search-api|scheduler|billing|inventory|nginx|redis|mailer|gateway|worker",
    "table": "users|orders|products|employees|invoices|customers|payments|books|flights|students",
    "column": "name|price|id|created_at|age|city|total|status|email|quantity|salary|year",
    "month": "January|February|March|April|May|June|July|August|September|October|November|December",
    "crop": "wheat|corn|rice|barley|soybeans|potatoes|sunflowers|oats",
}
WORDS = {kind: words.split("|") for kind, words in _LISTS.items()}

# Places and states as tools want them written.
_REGIONS = (
    "Paris, France|London, UK|Berlin, Germany|Madrid, Spain|Rome, Italy|Lisbon, Portugal|Vienna, Austria|"
    "Prague, Czech Republic|Warsaw, Poland|Oslo, Norway|Stockholm, Sweden|Helsinki, Finland|"
    "Dublin, Ireland|Athens, Greece|Budapest, Hungary|"
    "Zurich, Switzerland|Boston, MA|Chicago, IL|Seattle, WA|Denver, CO|Austin, TX|Miami, FL|Portland, OR|Phoenix, AZ|"
    "Dallas, TX|Atlanta, GA|San Francisco, CA|Los Angeles, CA|New York, NY|San Diego, CA|"
    "Tokyo, Japan|Osaka, Japan|Seoul, South Korea|"
    "Beijing, China|Shanghai, China|Bangkok, Thailand|Mumbai, India|Delhi, India|Sydney, Australia|Melbourne, Australia|"
    "Toronto, Canada|Vancouver, Canada|Montreal, Canada|Mexico City, Mexico|Buenos Aires, Argentina|Lima, Peru|"
    "Bogotá, Colombia|São Paulo, Brazil|Cairo, Egypt|Nairobi, Kenya|Lagos, Nigeria|Cape Town, South Africa|Istanbul, Turkey|"
    "Tel Aviv, Israel|Kyiv, Ukraine|Reykjavik, Iceland|Graz, Austria|Lyon, France|Porto, Portugal|Naples, Italy|Ghent, Belgium|"
    "Utrecht, Netherlands|Malmö, Sweden|Kraków, Poland|San Jose, CA|Berkeley, CA|Oakland, CA|Houston, TX|Philadelphia, PA|"
    "Detroit, MI|Las Vegas, NV|New Orleans, LA|Nashville, TN|Minneapolis, MN|Munich, Germany|Hamburg, Germany|Milan, Italy|"
    "Barcelona, Spain|Hanoi, Vietnam|Jakarta, Indonesia|Manila, Philippines|Lahore, Pakistan|Santiago, Chile"
).split("|")
WITH_REGION = {place.partition(",")[0]: place for place in _REGIONS} | {place: place for place in _REGIONS}
WORDS["city"] += [place for place in WITH_REGION if place not in WORDS["city"]]
STATE_CODES = dict(zip(WORDS["us_state"], "CA TX NY FL OH OR NV UT ME GA IL WA CO MI".split(), strict=True))
COUNTRY_CODES = dict(
    zip(
        WORDS["country"],
        "FR DE ES IT JP CN IN BR CA MX EG KE NG ZA AU NZ NO SE PL GR TR VN TH ID AR CL PE US GB PT".split(),
        strict=True,
    )
)
