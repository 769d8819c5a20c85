"""More samples: invented rows in the shape that TabFormer, IBM AML, BankSim, IEEE-CIS and BAF are published in.

Columns, their order, quoting, number formats, units and the order of the rows are the publishers'; every value is drawn here.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

import numpy as np

TABFORMER: Final = (
    "User,Card,Year,Month,Day,Time,Amount,Use Chip,Merchant Name,Merchant City,Merchant State,Zip,MCC,Errors?,Is Fraud?"
)
IBM_AML: Final = (
    "Timestamp,From Bank,Account,To Bank,Account,Amount Received,Receiving Currency,Amount Paid,Payment Currency,"
    "Payment Format,Is Laundering"
)
BANKSIM: Final = "step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud"
BAF: Final = (
    "fraud_bool,income,name_email_similarity,prev_address_months_count,current_address_months_count,customer_age,"
    "days_since_request,intended_balcon_amount,payment_type,zip_count_4w,velocity_6h,velocity_24h,velocity_4w,"
    "bank_branch_count_8w,date_of_birth_distinct_emails_4w,employment_status,credit_risk_score,email_is_free,housing_status,"
    "phone_home_valid,phone_mobile_valid,bank_months_count,has_other_cards,proposed_credit_limit,foreign_request,source,"
    "session_length_in_minutes,device_os,keep_alive_session,device_distinct_emails_8w,device_fraud_count,month"
)
_CURRENCIES: Final = ("US Dollar", "Euro", "Bitcoin", "Yen")
_PAYMENT_FORMATS: Final = ("Cheque", "ACH", "Credit Card", "Wire", "Reinvestment")


def tabformer(rng: np.random.Generator) -> Iterator[str]:
    """300 rows of five users, one user after the other; some are refunds, one card is misused online."""
    yield TABFORMER
    for user in range(5):
        for n, minute in enumerate(np.sort(rng.integers(0, 60 * 1_440, 60))):
            when = datetime(2019, 1, 1) + timedelta(minutes=int(minute))
            fraud = user == 3 and n >= 52
            online = fraud or rng.random() < 0.2
            how = "Online" if online else rng.choice(["Chip", "Swipe"])
            place = "ONLINE,," if online else rng.choice(["La Verne,CA,91750.0", "Rome,Italy,", "Erie,PA,16501.0"])
            amount = f"${'-' if not fraud and rng.random() < 0.05 else ''}{rng.lognormal(6 if fraud else 3.5, 0.8):.2f}"
            errors = '"Bad PIN,Insufficient Balance"' if rng.random() < 0.03 else ""
            merchant = rng.integers(-(2**62), 2**62)
            yield (
                f"{user},{rng.integers(0, 2)},{when.year},{when.month},{when.day},{when:%H:%M},{amount},{how} Transaction,"
                f"{merchant},{place},{rng.choice([5300, 5411, 4829])},{errors},{'Yes' if fraud else 'No'}"
            )


def ibm_aml(rng: np.random.Generator) -> Iterator[str]:
    """300 rows of three days, in order of the day alone; a ring of accounts passes money on."""
    yield IBM_AML
    accounts = [(f"{rng.integers(1, 999):03}", f"80{rng.integers(0, 16**7):07X}") for _ in range(30)]
    for day in range(3):
        for _ in range(100):
            ring = rng.random() < 0.05
            (bank, account), (other_bank, other) = (
                (accounts[0], accounts[1]) if ring else (accounts[k] for k in rng.integers(2, 30, 2))
            )
            when = datetime(2022, 9, 1) + timedelta(days=day, minutes=int(rng.integers(0, 1_440)))
            amount, currency = f"{rng.lognormal(8, 2):.2f}", rng.choice(_CURRENCIES)
            kind = "ACH" if ring else rng.choice(_PAYMENT_FORMATS)
            yield (
                f"{when:%Y/%m/%d %H:%M},{bank},{account},{other_bank},{other},{amount},{currency},{amount},{currency},{kind},"
                f"{int(ring)}"
            )


def banksim(rng: np.random.Generator) -> Iterator[str]:
    """400 rows of ten days, texts in single quotes; a shop for travels takes money from some."""
    yield BANKSIM
    customers = [(f"C{rng.integers(10**8, 10**10)}", rng.integers(0, 7), rng.choice(["M", "F"])) for _ in range(25)]
    for step in range(10):
        for _ in range(40):
            customer, age, gender = customers[rng.integers(0, 25)]
            fraud = rng.random() < 0.04
            merchant, category = ("M480139044", "es_travel") if fraud else ("M348934600", "es_transportation")
            amount = f"{rng.lognormal(6 if fraud else 3, 0.7):.2f}"
            yield (
                f"{step},'{customer}','{age}','{gender}','28007','{merchant}','28007','{category}',{amount},{int(fraud)}"
            )


def ieee_cis(rng: np.random.Generator) -> Iterator[str]:
    """90 rows of a day; most of the 339 V columns and the like are empty."""
    cards = [f"card{n}" for n in range(1, 7)]
    many = [f"{letter}{n}" for letter, most in (("C", 14), ("D", 15), ("M", 9), ("V", 339)) for n in range(1, most + 1)]
    ids = ["TransactionID", "isFraud", "TransactionDT", "TransactionAmt", "ProductCD"]
    yield ",".join([*ids, *cards, "addr1", "addr2", "dist1", "dist2", "P_emaildomain", "R_emaildomain", *many])
    for n, second in enumerate(np.sort(rng.integers(86_400, 172_800, 90))):
        fraud = n % 15 == 14
        card = rng.integers(0, 12)
        of_card = f"{13_000 + card},{'' if card % 4 == 0 else f'{200.0 + card}'},150.0,visa,{142.0 + card % 3},debit"
        counts = ",".join(f"{value}.0" for value in rng.integers(0, 40 if fraud else 4, 14))
        days = ",".join("" if rng.random() < 0.6 else f"{value}.0" for value in rng.integers(0, 300, 15))
        flags = ",".join(rng.choice(["T", "F", ""], 9))
        amount = round(float(rng.lognormal(5 if fraud else 4, 1)), 2)
        yield (
            f"{2_987_000 + n},{int(fraud)},{second},{amount},{rng.choice(list('WCHRS'))},{of_card},{315.0 - card},87.0,"
            f"{'' if card % 2 else '19.0'},,{rng.choice(['gmail.com', ''])},,{counts},{days},{flags},"
            f"{','.join('1.0' if rng.random() < 0.1 else '' for _ in range(339))}"
        )


def baf(rng: np.random.Generator) -> Iterator[str]:
    """240 rows of eight months, in no order; -1 where something is unknown."""
    yield BAF
    for n, month in enumerate(rng.permutation(np.repeat(np.arange(8), 30))):
        fraud = n % 40 == 7
        unknown = rng.random(4) < 0.3
        yield (
            f"{int(fraud)},{rng.integers(1, 10) / 10},{rng.random():.6f},{-1 if unknown[0] else rng.integers(5, 300)},"
            f"{rng.integers(0, 400)},{rng.integers(1, 9) * 10},{rng.exponential(0.05):.6f},"
            f"{-rng.random() if unknown[1] else rng.uniform(5, 110):.6f},{rng.choice(['AA', 'AB', 'AC', 'AD'])},"
            f"{rng.integers(1, 6000)},{rng.uniform(500, 15000):.4f},{rng.uniform(1500, 9000):.4f},"
            f"{rng.uniform(2900, 6900):.4f},"
            f"{rng.integers(0, 2000)},{rng.integers(0, 30)},{rng.choice(['CA', 'CB', 'CC'])},"
            f"{rng.integers(150, 380) if fraud else rng.integers(-100, 250)},{int(rng.random() < 0.5)},"
            f"{rng.choice(['BA', 'BB', 'BC'])},{int(rng.random() < 0.4)},{int(rng.random() < 0.9)},"
            f"{-1 if unknown[2] else rng.integers(1, 31)},{int(rng.random() < 0.2)},{rng.choice([200.0, 500.0, 1500.0])},"
            f"{int(rng.random() < 0.03)},INTERNET,{-1.0 if unknown[3] else rng.exponential(7):.6f},"
            f"{rng.choice(['windows', 'linux', 'other', 'macintosh'])},{int(rng.random() < 0.5)},{rng.integers(1, 3)},0,{month}"
        )


OTHERS: Final[dict[str, Callable[[np.random.Generator], Iterator[str]]]] = {
    "tabformer.csv": tabformer,
    "ibm-aml.csv": ibm_aml,
    "banksim.csv": banksim,
    "ieee-cis.csv": ieee_cis,
    "baf.csv": baf,
}
